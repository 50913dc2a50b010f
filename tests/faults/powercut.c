/* A disk that forgets: writes below POWERCUT_FOLDER are undone at a power cut unless they were synced before it.
 *
 * Loaded with LD_PRELOAD. Before a write or a truncation the bytes it will replace are kept; a sync of the file lets them go. At SIGUSR1
 * the next call puts everything back that is still kept, newest first, and ends the process at once. POWERCUT_FAIL_AT=k makes the k-th sync
 * fail with EIO (POWERCUT_FAIL_ON=1: that one and all after it). Files that are written through a mapping are not watched: SQLite's
 * -shm file is the only one, and is made anew after a crash.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define CUT_EXIT 86

struct kept {
    struct kept *older;
    dev_t dev;
    ino_t ino;
    int fd;
    off_t at, size;
    size_t bytes;
    char data[];
};

static struct kept *newest;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t cut;
static long syncs, fail_at, fail_on;
static char folder[4096];

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void ask(int number) { (void)number; cut = 1; }

__attribute__((constructor)) static void begin(void) {
    const char *told = getenv("POWERCUT_FOLDER"), *at = getenv("POWERCUT_FAIL_AT"), *on = getenv("POWERCUT_FAIL_ON");
    snprintf(folder, sizeof folder, "%s", told ? told : "/nowhere");
    fail_at = at ? atol(at) : 0;
    fail_on = on ? atol(on) : 0;
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    signal(SIGUSR1, ask);
}

static int watched(int fd, struct stat *about) {
    char name[64], path[4096];
    if (fstat(fd, about) || !S_ISREG(about->st_mode)) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

static void end_if_cut(void) {
    if (!cut) return;
    for (struct kept *each = newest; each; each = each->older) {
        if (each->bytes) real_pwrite(each->fd, each->data, each->bytes, each->at);
        real_ftruncate(each->fd, each->size);
    }
    _exit(CUT_EXIT);
}

/* Keep what lies between `at` and `at + bytes`, and how long the file is. */
static void keep(int fd, const struct stat *about, off_t at, size_t bytes) {
    size_t there = at >= about->st_size ? 0 : (size_t)(about->st_size - at);
    if (there > bytes) there = bytes;
    struct kept *each = malloc(sizeof *each + there);
    if (!each) abort();
    *each = (struct kept){newest, about->st_dev, about->st_ino, dup(fd), at, about->st_size, there};
    if (there && pread(fd, each->data, there, at) != (ssize_t)there) abort();
    newest = each;
}

static void forget(const struct stat *about) {
    for (struct kept **link = &newest; *link;) {
        struct kept *each = *link;
        if (each->dev == about->st_dev && each->ino == about->st_ino) {
            *link = each->older;
            close(each->fd);
            free(each);
        } else {
            link = &each->older;
        }
    }
}

static ssize_t put(int fd, const void *data, size_t bytes, off_t at, int here) {
    struct stat about;
    pthread_mutex_lock(&guard);
    int ours = watched(fd, &about);
    if (ours) {
        end_if_cut();
        keep(fd, &about, here ? lseek(fd, 0, SEEK_CUR) : at, bytes);
    }
    ssize_t done = here ? real_write(fd, data, bytes) : real_pwrite(fd, data, bytes, at);
    if (ours) end_if_cut();
    pthread_mutex_unlock(&guard);
    return done;
}

static int sync_with(int fd, int (*real)(int)) {
    struct stat about;
    pthread_mutex_lock(&guard);
    int ours = watched(fd, &about), failed = 0;
    if (ours) {
        end_if_cut();
        syncs++;
        failed = fail_at && (syncs == fail_at || (fail_on && syncs > fail_at));
    }
    int done = failed ? -1 : real(fd);
    if (ours && !failed) forget(&about);
    if (ours) end_if_cut();
    pthread_mutex_unlock(&guard);
    if (failed) errno = EIO;
    return done;
}

ssize_t write(int fd, const void *data, size_t bytes) { return put(fd, data, bytes, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) { return put(fd, data, bytes, at, 0); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) { return put(fd, data, bytes, at, 0); }

int ftruncate(int fd, off_t size) {
    struct stat about;
    pthread_mutex_lock(&guard);
    int ours = watched(fd, &about);
    if (ours) {
        end_if_cut();
        keep(fd, &about, size, about.st_size > size ? (size_t)(about.st_size - size) : 0);
    }
    int done = real_ftruncate(fd, size);
    pthread_mutex_unlock(&guard);
    return done;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int fsync(int fd) { return sync_with(fd, real_fsync); }
int fdatasync(int fd) { return sync_with(fd, real_fdatasync); }
