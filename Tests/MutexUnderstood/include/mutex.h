// Nothing is called from outside: the functions have the names of the standard library's.
