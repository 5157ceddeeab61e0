"""Reading a data set whole, before a training does, to tell what is wrong with it."""
