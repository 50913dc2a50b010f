"""The gateway seen from outside: its state for the control plane, questions to it, and its traffic between two looks."""
