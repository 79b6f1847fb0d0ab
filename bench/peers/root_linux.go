package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// programFolders are where Debian has the proxies.
const programFolders = "/usr/sbin:/usr/bin:/sbin:/bin"

// enterRoot becomes a program of another root folder. The folder of temporary files is the same inside, so that the
// files of a run have one name. All that is mounted belongs to a namespace of the program's own, and ends with it.
func enterRoot(root, program string, args []string) error {
	runtime.LockOSThread() // the namespace is the thread's, until exec makes it the process's
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("namespace of %s: %w", root, err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("namespace of %s: %w", root, err)
	}
	for _, shared := range []string{os.TempDir(), "/dev", "/proc"} {
		if err := unix.Mount(shared, filepath.Join(root, shared), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s in %s: %w", shared, root, err)
		}
	}
	if err := unix.Chroot(root); err != nil {
		return fmt.Errorf("enter %s: %w", root, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter %s: %w", root, err)
	}
	if err := os.Setenv("PATH", programFolders); err != nil {
		return err
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("in %s: %w", root, err)
	}
	return syscall.Exec(path, append([]string{path}, args...), os.Environ())
}
