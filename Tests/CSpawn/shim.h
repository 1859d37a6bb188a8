// Calls that the C library has (glibc 2.34 and later) but shows only with _GNU_SOURCE, which Swift's
// module of it is not compiled with.
#include <spawn.h>

int pipe2(int ends[2], int flags);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
