// SPDX-License-Identifier: Apache-2.0

#pragma once

// The macros that check types at compile time hide the functions, and Swift sees neither variadic functions nor macros.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

// curl_easy_setopt is variadic: one function for each type of value.

static inline CURLcode ccurl_set_number(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_text(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(handle, option, value);
}

// Header lines and the body come through callbacks of one type.
static inline CURLcode ccurl_set_receiver(CURL *handle, CURLoption option, curl_write_callback callback) {
    return curl_easy_setopt(handle, option, callback);
}

static inline CURLcode ccurl_set_opener(CURL *handle, curl_opensocket_callback callback) {
    return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, callback);
}

// `addr` is declared as a struct sockaddr and is followed by the rest of a longer address: a copy would cut it off.
static inline const unsigned char *ccurl_address_bytes(const struct curl_sockaddr *address) {
    return (const unsigned char *)&address->addr;
}
