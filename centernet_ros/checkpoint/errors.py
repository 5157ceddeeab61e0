"""What may be wrong with weights."""


class CheckpointError(ValueError):
    """A weights file that is missing, damaged, foreign, or made for another network."""
