"""The user interface: magics, cells, panels, terminal and command line. These modules do not depend on any protocol."""
