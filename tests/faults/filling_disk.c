/* A disk that fills up: below a folder, all but the first so many writes fail.
 *
 * Preloaded, it stands before the calls of the C library that need room: of Python and
 * of TensorStore's own threads alike. `fill_disk_after(n, folder)` begins to count; a
 * negative n gives room again. `room_asked()` is how often room was asked for since.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long room = -1, asked = 0;
static char below[PATH_MAX];

void fill_disk_after(long count, const char *folder) {
  snprintf(below, sizeof below, "%s", folder);
  asked = 0;
  room = count;
}

long room_asked(void) { return asked; }

static int is_below(const char *path) {
  char here[PATH_MAX], whole[2 * PATH_MAX + 1];
  if (room < 0 || path == NULL) return 0;
  if (path[0] != '/') {
    if (getcwd(here, sizeof here) == NULL) return 0;
    snprintf(whole, sizeof whole, "%s/%s", here, path);
    path = whole;
  }
  return strncmp(path, below, strlen(below)) == 0;
}

static int no_room(int is_ours) {
  if (!is_ours || atomic_fetch_add(&asked, 1) < room) return 0;
  errno = ENOSPC;
  return 1;
}

static int full_for(int handle) {
  char link[64], path[PATH_MAX];
  if (room < 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return no_room(is_below(path));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int handle, const void *bytes, size_t size) {
  return full_for(handle) ? -1 : REAL(write)(handle, bytes, size);
}
ssize_t writev(int handle, const struct iovec *parts, int count) {
  return full_for(handle) ? -1 : REAL(writev)(handle, parts, count);
}
ssize_t pwrite(int handle, const void *bytes, size_t size, off_t at) {
  return full_for(handle) ? -1 : REAL(pwrite)(handle, bytes, size, at);
}
ssize_t pwrite64(int handle, const void *bytes, size_t size, off64_t at) {
  return full_for(handle) ? -1 : REAL(pwrite64)(handle, bytes, size, at);
}
int fsync(int handle) { return full_for(handle) ? -1 : REAL(fsync)(handle); }
int mkdir(const char *path, mode_t mode) {
  return no_room(is_below(path)) ? -1 : REAL(mkdir)(path, mode);
}

#define OPENS(name)                                                             \
  int name(const char *path, int flags, ...) {                                  \
    mode_t mode = 0;                                                            \
    if (flags & O_CREAT) {                                                      \
      va_list rest;                                                             \
      va_start(rest, flags);                                                    \
      mode = va_arg(rest, mode_t);                                              \
      va_end(rest);                                                             \
      if (no_room(is_below(path) && access(path, F_OK) != 0)) return -1;        \
    }                                                                           \
    return REAL(name)(path, flags, mode);                                       \
  }
OPENS(open)
OPENS(open64)
