"""What decoding costs: seconds for a token, and memory, at every position and batch, of models of equal parameters."""
