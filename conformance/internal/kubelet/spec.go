package kubelet

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

// sandboxSpec is the container as it is started now: ConfigMaps and Secrets that its
// variables come from may have changed since it was last.
func (c *container) sandboxSpec() (*sandbox.Spec, error) {
	kubelet := c.worker.kubelet
	image, err := kubelet.cfg.Image(c.spec.Image)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", c.spec.Image, err)
	}
	c.worker.mu.Lock()
	volumes := *c.worker.volumes
	c.worker.mu.Unlock()
	variables, err := volumes.variables(c.spec)
	if err != nil {
		return nil, err
	}
	mounts, err := volumes.mounts(c.spec, variables)
	if err != nil {
		return nil, err
	}
	command := c.spec.Command
	if len(command) == 0 {
		command = image.Entrypoint
	}
	spec := &sandbox.Spec{
		Dir:      expand(c.spec.WorkingDir, variables),
		Hostname: hostnameOf(c.pod),
		Env:      pairs(variables),
		Files:    c.systemFiles(),
		Mounts:   append(image.mounts(), mounts...),
	}
	for _, word := range append(slices.Clone(command), c.spec.Args...) {
		spec.Args = append(spec.Args, expand(word, variables))
	}
	return spec, secure(spec, c.pod.Spec.SecurityContext, c.spec.SecurityContext, image)
}

// mounts are the files of an image.
func (i *Image) mounts() []sandbox.Mount {
	mounts := []sandbox.Mount{{Source: i.Program, Target: i.Path, ReadOnly: true}}
	for _, library := range i.Libraries {
		mounts = append(mounts, sandbox.Mount{Source: library, Target: library, ReadOnly: true})
	}
	return mounts
}

// systemFiles are the files that a kubelet gives each container.
func (c *container) systemFiles() map[string]string {
	ip, namespace := c.worker.network.IP.String(), c.pod.Namespace
	hosts := "127.0.0.1\tlocalhost\n" + ip + "\t"
	if c.pod.Spec.Subdomain != "" {
		hosts += hostnameOf(c.pod) + "." + c.pod.Spec.Subdomain + "." + namespace + ".svc.cluster.local\t"
	}
	hosts += hostnameOf(c.pod) + "\n"
	for _, alias := range c.pod.Spec.HostAliases {
		hosts += alias.IP + "\t" + strings.Join(alias.Hostnames, "\t") + "\n"
	}
	return map[string]string{
		"/etc/hostname": hostnameOf(c.pod) + "\n",
		"/etc/hosts":    hosts,
		"/etc/passwd":   "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
		"/etc/group":    "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n",
		"/etc/resolv.conf": fmt.Sprintf("nameserver %s\nsearch %s.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
			c.worker.kubelet.cfg.Resolver, namespace),
	}
}

// secure applies the security contexts of pod and container; what the container says
// comes first.
func secure(spec *sandbox.Spec, pod *corev1.PodSecurityContext, own *corev1.SecurityContext, image Image) error {
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	spec.UID = image.UID
	if uid := first(own.RunAsUser, pod.RunAsUser); uid != nil {
		spec.UID = int(*uid)
	}
	if gid := first(own.RunAsGroup, pod.RunAsGroup); gid != nil {
		spec.GID = int(*gid)
	}
	if isTrue(first(own.RunAsNonRoot, pod.RunAsNonRoot)) && spec.UID == 0 {
		return errors.New("container has runAsNonRoot and image will run as root")
	}
	for _, group := range pod.SupplementalGroups {
		spec.Groups = append(spec.Groups, int(group))
	}
	if pod.FSGroup != nil {
		spec.Groups = append(spec.Groups, int(*pod.FSGroup))
	}
	spec.ReadOnly = isTrue(own.ReadOnlyRootFilesystem)
	spec.NoNewPrivileges = own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation
	capabilities, err := capabilitiesOf(own.Capabilities)
	spec.Capabilities = capabilities
	return err
}

func first[T any](values ...*T) *T {
	for _, value := range values {
		if value != nil {
			return value
		}
	}
	return nil
}

// capabilitiesOf are those of root in a container.
func capabilitiesOf(changes *corev1.Capabilities) ([]uintptr, error) {
	has := make(map[uintptr]struct{})
	for _, capability := range sandbox.DefaultCapabilities() {
		has[capability] = struct{}{}
	}
	if changes == nil {
		return slices.Sorted(maps.Keys(has)), nil
	}
	for _, name := range changes.Drop {
		if strings.EqualFold(string(name), "ALL") {
			clear(has)
			continue
		}
		number, err := sandbox.Capability(string(name))
		if err != nil {
			return nil, err
		}
		delete(has, number)
	}
	for _, name := range changes.Add {
		number, err := sandbox.Capability(string(name))
		if err != nil {
			return nil, err
		}
		has[number] = struct{}{}
	}
	return slices.Sorted(maps.Keys(has)), nil
}

// setSysctls configures the network of a pod; it is called in it. Only what belongs to
// the network is the pod's own.
func setSysctls(pod *corev1.Pod) error {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	for _, sysctl := range pod.Spec.SecurityContext.Sysctls {
		path := strings.ReplaceAll(sysctl.Name, ".", "/")
		if !strings.HasPrefix(path, "net/") || strings.Contains(path, "//") {
			return fmt.Errorf("sysctl %s is not supported", sysctl.Name)
		}
		if err := os.WriteFile("/proc/sys/"+path, []byte(sysctl.Value), 0); err != nil {
			return fmt.Errorf("sysctl %s: %w", sysctl.Name, err)
		}
	}
	return nil
}
