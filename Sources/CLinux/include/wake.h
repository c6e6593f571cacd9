#pragma once

/// An eventfd(2) that does not block and is not inherited by programs: readable once anybody has written a number to it.
int clinux_make_wake_descriptor(void);
