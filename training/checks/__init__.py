"""What must hold before a stage trains: each gate is one file, and refuses with what, the value and the cure."""
