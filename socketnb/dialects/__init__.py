"""The dialects: each platform's protocol as two pure machines, a client and a server.

The rules of this package:
* A machine takes plain inputs and returns a list of effects (`model/effects.py`). It does not perform them.
* No IO, threads, clocks, randomness or ids: time and ids are passed in.
* No dialect imports another. Code outside this package does not name a platform's events or options.
* An unknown event is recorded with kind `custom` and its payload intact; a malformed one with kind `error`. Neither
  ends the conversation.

A client and a server machine can therefore be tested against each other with a list as the network, against transcripts
from the vendors' documentation, and over real sockets.

`base.py` defines the abstract machines and the `Dialect`, `registry.py` finds a dialect by name, `messages.py` turns
traces into messages. `sound.py` and `tokens.py` hold formats that several dialects share.
"""
