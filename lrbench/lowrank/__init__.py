"""Low-rank factorization of convolutions and linear layers; imports nothing else of lrbench."""
