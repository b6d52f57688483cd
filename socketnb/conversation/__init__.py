"""The conversation API: `Session`, `Turn` and `Call`."""
