package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged are the accounts that a root process may run the server as, in order of preference.
var unprivileged = []string{"postgres", "nobody"}

// serverAccount returns the account that the server runs as: nil, meaning our own, unless we are root.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var errs []error
	for _, name := range unprivileged {
		credential, err := lookupAccount(name)
		if err == nil {
			return credential, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root and no other account was found: %w", errors.Join(errs...))
}

func lookupAccount(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("look up account %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user id of account %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group id of account %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
