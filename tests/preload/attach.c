// Loads the library, given as first argument, into the running program, and checks that calls lead to its hooks.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile int logged;

static uint32_t listener(const void *event) {
    (void)event;
    logged++;
    return 0;
}

#define CHECK(condition) do { if (!(condition)) { \
    dprintf(2, "line %d: %s\n", __LINE__, #condition); \
    return 1; } } while (0)

int main(int argc, char **argv) {
    char byte;
    struct stat status;
    int fd = open("/dev/zero", O_RDONLY); // Binds the slot of `open` to libc before anything is attached.
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    CHECK(library);
    uint32_t (*attach)(void) = dlsym(library, "frontrun_shim_attach");
    uint32_t (*shim_register)(uint32_t (*)(const void *)) = dlsym(library, "frontrun_shim_register");
    uint32_t (*control)(uint32_t) = dlsym(library, "frontrun_shim_control");
    CHECK(attach && shim_register && control);
    CHECK(attach() > 0);
    CHECK(attach() == 0); // Everything that is loaded has been seen.
    shim_register(listener);
    CHECK(read(fd, &byte, 1) == 1 && logged == 0);
    control(1);
    CHECK(read(fd, &byte, 1) == 1 && logged == 2);
    CHECK(open("/missing", O_RDONLY) == -1 && logged == 4);
    CHECK(stat("/", &status) == 0 && S_ISDIR(status.st_mode) && logged == 6);
    CHECK(close(fd) == 0 && logged == 8);
    // What is loaded now is reached after the next attaching.
    void *later = dlopen("libutil.so.1", RTLD_NOW);
    CHECK(later || attach() == 0);
    return 0;
}
