"""What a user chooses: the sections of a spec and the axes of a setting, and how TOML is read into them.

`sections` has a record for each section, `axes` the axes of a timing, `names` the words that keys take, `reading`
turns TOML into sections. Everything here may be imported from anywhere above; no torch. A key more is a field of its
section, a word more an entry of its table.
"""
