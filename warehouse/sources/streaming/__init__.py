"""Messages of Kafka topics, in small batches, into landing files that are loaded as any other file is.

A batch's rows and the offset of each message are one transaction of the lake, and the lake alone says where reading
goes on: whatever is killed, each message counts once.
"""

__all__ = ["batch", "client", "lag", "positions", "stream", "streams"]
