"""The engine performs all IO of conversations: one background loop, one driver per session, one link per connection.

The engine does not print or display anything, and does not depend on recordings, sessions or notebooks. A driver
receives a function for its session events and calls it on the loop's thread.
"""
