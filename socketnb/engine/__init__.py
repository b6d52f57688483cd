"""The engine: the only IO of a conversation. One background loop, a driver per session, a link per connection.

Nothing here prints, displays, or knows about recordings, sessions and notebooks. A driver gets a callable for its
session events and calls it on the loop's thread.
"""
