"""Flows: bots written in Python, and the demo bot."""
