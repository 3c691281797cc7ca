"""What a user chooses: the sections of a spec, their keys, and how TOML is read into them; imports no torch."""
