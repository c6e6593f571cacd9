// SPDX-License-Identifier: Apache-2.0

#pragma once

/// Makes an eventfd(2) that does not block and that programs do not inherit: readable once a number was written to it.
int clinux_make_wake_descriptor(void);
