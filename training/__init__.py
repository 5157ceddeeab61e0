"""Training and evaluation of CenterNet networks; not needed to run one."""
