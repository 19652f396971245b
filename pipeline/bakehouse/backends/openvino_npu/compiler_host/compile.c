// compile.exe MODEL.xml OUT.blob KEY=VALUE...
//
// Compiles a model for the NPU with OpenVINO's C API and exports the blob. It is built against kernel32 and openvino_c alone,
// without a C runtime, which a cross compiler would have to build first. Words of the command line are parted by spaces and may
// stand in double quotes; what OpenVINO says goes to standard error.
// Exit codes: 0 well, 1 OpenVINO refused, 2 wrong words.

#include "openvino/c/openvino.h"

__declspec(dllimport) char* GetCommandLineA(void);
__declspec(dllimport) void* GetStdHandle(unsigned long which);
__declspec(dllimport) int WriteFile(void* file, const void* text, unsigned long size, unsigned long* written, void* overlapped);
__declspec(dllimport) __attribute__((noreturn)) void ExitProcess(unsigned int code);

#define MOST_PROPERTIES 32
#define STANDARD_ERROR ((unsigned long)-12)

static char* words[3 + MOST_PROPERTIES];
static ov_property_t properties[MOST_PROPERTIES];

static void say(const char* text) {
    unsigned long size = 0, written;
    while (text[size]) size++;
    WriteFile(GetStdHandle(STANDARD_ERROR), text, size, &written, 0);
}

static void must(ov_status_e status, const char* doing) {
    if (status == OK) return;
    say(doing);
    say(": ");
    say(ov_get_last_err_msg());
    say("\n");
    ExitProcess(1);
}

static size_t split(char* line) {
    size_t count = 0;
    for (;;) {
        while (*line == ' ') line++;
        if (!*line || count == 3 + MOST_PROPERTIES) return *line ? 0 : count;
        char end = *line == '"' ? *line++ : ' ';
        words[count++] = line;
        while (*line && *line != end) line++;
        if (*line) *line++ = 0;
    }
}

void begin(void) {
    size_t count = split(GetCommandLineA());
    if (count < 3) {
        say("usage: compile.exe MODEL.xml OUT.blob KEY=VALUE...\n");
        ExitProcess(2);
    }
    for (size_t i = 0; i < count - 3; i++) {
        char* at = words[3 + i];
        properties[i].key = at;
        while (*at && *at != '=') at++;
        if (*at) *at++ = 0;
        properties[i].value = at;
    }
    ov_core_t* core;
    ov_model_t* model;
    ov_compiled_model_t* compiled;
    must(ov_core_create(&core), "starting OpenVINO");
    must(ov_core_read_model(core, words[1], 0, &model), "reading the model");
    must(ov_core_compile_model_props(core, model, "NPU", count - 3, properties, &compiled), "compiling");
    must(ov_compiled_model_export_model(compiled, words[2]), "writing the blob");
    ExitProcess(0);
}
