"""The user interface: magics, cells, panels, terminal and command line. No module here knows a protocol."""
