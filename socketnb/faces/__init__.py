"""The faces: what people touch. Each translates and calls; none knows a protocol."""
