// SPDX-License-Identifier: Apache-2.0

// Nothing is called from outside: the functions have the names of the standard library's.
