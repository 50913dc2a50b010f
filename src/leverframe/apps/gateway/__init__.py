"""The data plane's process: one worker, or a fleet of them on one port. It can reach neither the ledger nor any room but serving and the
online features. Nothing is imported here, so that a fleet's parent loads no model runtime."""
