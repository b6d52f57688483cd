"""The user interface: what people touch. Each module translates and calls; none knows a protocol."""
