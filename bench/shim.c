/* A library to preload that fails one chosen system call once, for files whose path holds a text.

   cc -shared -fPIC -O2 -o shim.so shim.c -ldl
   LD_PRELOAD=shim.so; then shim_arm("write", "records.jsonl", "figures", 1, EIO), and shim_met() says whether it failed.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char call[16], in[256], not_in[256];
static int left, code, met;

void shim_arm(const char *name, const char *text, const char *other, int nth, int error) {
    snprintf(call, sizeof call, "%s", name);
    snprintf(in, sizeof in, "%s", text);
    snprintf(not_in, sizeof not_in, "%s", other);
    left = nth, code = error, met = 0;
}

int shim_met(void) { return met; }

static int fails(const char *name, const char *path) {
    if (!left || strcmp(name, call) || !path || !strstr(path, in) || (*not_in && strstr(path, not_in)) || --left)
        return 0;
    met = 1, errno = code;
    return 1;
}

static int fails_at(const char *name, int file) {
    char link[64], path[4096];
    if (!left || strcmp(name, call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return fails(name, path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

ssize_t write(int file, const void *bytes, size_t size) {
    return fails_at("write", file) ? -1 : REAL(ssize_t, "write", int, const void *, size_t)(file, bytes, size);
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    return fails_at("write", file) ? -1 : REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(file, bytes, size, at);
}
int fsync(int file) { return fails_at("fsync", file) ? -1 : REAL(int, "fsync", int)(file); }
int rename(const char *old, const char *new) {
    return fails("rename", old) || fails("rename", new) ? -1 : REAL(int, "rename", const char *, const char *)(old, new);
}
int unlink(const char *path) { return fails("unlink", path) ? -1 : REAL(int, "unlink", const char *)(path); }
int unlinkat(int folder, const char *path, int flags) {
    return fails("unlink", path) ? -1 : REAL(int, "unlinkat", int, const char *, int)(folder, path, flags);
}

#define OPENS(name)                                                                    \
    int name(const char *path, int flags, ...) {                                       \
        va_list more;                                                                  \
        va_start(more, flags);                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;        \
        va_end(more);                                                                  \
        if (flags & (O_WRONLY | O_RDWR | O_CREAT) && fails("open", path)) return -1;   \
        return REAL(int, #name, const char *, int, ...)(path, flags, mode);            \
    }
OPENS(open)
OPENS(open64)
int openat64(int folder, const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (flags & (O_WRONLY | O_RDWR | O_CREAT) && fails("open", path)) return -1;
    return REAL(int, "openat64", int, const char *, int, ...)(folder, path, flags, mode);
}
