// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <stdio.h>
#include <string.h>

#include <libxml/xmlversion.h>
// A libxml2 built with ICU includes ICU's headers for two fields of a structure nothing here looks into. Swift's
// Foundation has an ICU of its own, and one program cannot import both declarations of the same names.
#undef LIBXML_ICU_ENABLED

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/relaxng.h>
#include <libxml/SAX2.h>
#include <libxml/tree.h>
#include <libxml/xmlsave.h>

/// Why a document was not read.
typedef enum {
    CLIBXML2_READ,
    CLIBXML2_NOT_WELL_FORMED,
    CLIBXML2_DOCTYPE,
    CLIBXML2_TOO_DEEP,
    CLIBXML2_NO_MEMORY,
} clibxml2_problem;

/// What is left of a parse besides the document: the first reason against it.
typedef struct {
    clibxml2_problem problem;
    int line;
    int max_depth;
    char message[256];
} clibxml2_report;

#if LIBXML_VERSION >= 21200
typedef const xmlError *clibxml2_error;
#else
typedef xmlError *clibxml2_error;
#endif

/// Keeps the first error of a context, in place of libxml2's habit of printing all of them.
static inline void clibxml2_keep_error(void *context, clibxml2_error error) {
    xmlParserCtxtPtr parser = (xmlParserCtxtPtr)context;
    clibxml2_report *report = parser == NULL ? NULL : (clibxml2_report *)parser->_private;
    if (report == NULL || error == NULL || report->problem != CLIBXML2_READ || error->level < XML_ERR_ERROR) return;
    report->problem = CLIBXML2_NOT_WELL_FORMED;
    report->line = error->line;
    snprintf(report->message, sizeof report->message, "%s", error->message == NULL ? "" : error->message);
    report->message[strcspn(report->message, "\n")] = '\0';
}

static inline void clibxml2_stop(xmlParserCtxtPtr parser, clibxml2_problem problem) {
    clibxml2_report *report = (clibxml2_report *)parser->_private;
    if (report->problem == CLIBXML2_READ) {
        report->problem = problem;
        report->line = xmlSAX2GetLineNumber(parser);
    }
    xmlStopParser(parser);
}

/// Ends the parse where a DOCTYPE begins: before one entity is declared, let alone expanded.
static inline void clibxml2_refuse_doctype(void *context, const xmlChar *name, const xmlChar *external_id,
                                           const xmlChar *system_id) {
    (void)name, (void)external_id, (void)system_id;
    clibxml2_stop((xmlParserCtxtPtr)context, CLIBXML2_DOCTYPE);
}

static inline void clibxml2_start_element(void *context, const xmlChar *name, const xmlChar *prefix,
                                          const xmlChar *uri, int namespace_count, const xmlChar **namespaces,
                                          int attribute_count, int defaulted_count, const xmlChar **attributes) {
    xmlParserCtxtPtr parser = (xmlParserCtxtPtr)context;
    if (parser->nodeNr >= ((clibxml2_report *)parser->_private)->max_depth) {
        clibxml2_stop(parser, CLIBXML2_TOO_DEEP);
        return;
    }
    xmlSAX2StartElementNs(context, name, prefix, uri, namespace_count, namespaces, attribute_count, defaulted_count,
                          attributes);
}

/// Reads a document of UTF-8 that nothing in it can turn against the reader: no DOCTYPE, no network, at most
/// `max_depth` elements inside each other. NULL when the report names a problem; the caller frees the document.
///
/// The handlers are C because a parser context is no Swift value: they hang on fields of it that libxml2 fills with
/// function pointers of its own.
static inline xmlDocPtr clibxml2_read(const char *bytes, int count, int max_depth, clibxml2_report *report) {
    memset(report, 0, sizeof *report);
    report->max_depth = max_depth;
    xmlParserCtxtPtr parser = xmlNewParserCtxt();
    if (parser == NULL) {
        report->problem = CLIBXML2_NO_MEMORY;
        return NULL;
    }
    parser->_private = report;
    parser->sax->serror = clibxml2_keep_error;
    parser->sax->internalSubset = clibxml2_refuse_doctype;
    parser->sax->startElementNs = clibxml2_start_element;
    xmlDocPtr document = xmlCtxtReadMemory(parser, bytes, count, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_NOCDATA);
    xmlFreeParserCtxt(parser);
    if (document == NULL && report->problem == CLIBXML2_READ) report->problem = CLIBXML2_NOT_WELL_FORMED;
    if (report->problem == CLIBXML2_READ) return document;
    xmlFreeDoc(document);
    return NULL;
}
