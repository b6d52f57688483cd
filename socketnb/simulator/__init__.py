"""The simulator: a loopback Socket.IO server that speaks a platform's protocol and runs a flow."""
