// What the headers of glibc only show to those who define _GNU_SOURCE, which Swift does not.
#include <fcntl.h>
#include <sys/types.h>

typedef __off64_t linux_offset;

int sync_file_range(int fd, linux_offset offset, linux_offset count, unsigned int flags);

// SYNC_FILE_RANGE_WRITE
static const unsigned int linux_sync_file_range_write = 2;
