"""The stream worker: a process of the data plane that scores the messages of NATS JetStream, Redis streams and Kafka.

Takes a published route table, online features and two addresses. Gives an answer or a dead letter for each message, once over crashes
as far as the broker can promise that, and prediction records. Never reaches the control database, and never acknowledges what is not
published. Start reading at ``worker.py``; ``feed.py`` is how other processes read a stream by place.
FastStream and the drivers under it are imported here and nowhere else.
"""
