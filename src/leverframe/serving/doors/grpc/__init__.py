"""The gateway's gRPC door: Open Inference Protocol v2 for clients that speak gRPC.

Takes  protobuf messages over HTTP/2.    Gives  the answers, records and refusals of the REST door.
Never  touches the gateway's state from another thread than the event loop's.
Start reading at ``service.py``; ``transport.py`` is the only file that knows gRPC's library.
"""
