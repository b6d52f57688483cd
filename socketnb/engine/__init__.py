"""The engine: the only IO with the outside. One background loop; a driver per session; a link per connection.

Nothing here prints, displays or knows of recordings, sessions and notebooks: a driver is handed a callable for its
news and calls it from the loop's thread.
"""
