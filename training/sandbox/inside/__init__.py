"""What runs inside the jail: standard library only, imported by a fresh interpreter that has nothing else."""
