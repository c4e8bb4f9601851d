package manifests_test

import (
	"os"
	"path/filepath"
	"testing"
)

// atomicWrite replaces the content of a ConfigMap volume as the kubelet does: a
// new hidden directory, and the link ..data swapped over to it.
func atomicWrite(d *dir, version string, files map[string]string) {
	d.t.Helper()
	for name, content := range files {
		d.write("..."+version+"/"+name, content)
	}
	old, _ := os.Readlink(d.join("..data"))
	check(d.t, os.Symlink("..."+version, d.join("..data_tmp")))
	check(d.t, os.Rename(d.join("..data_tmp"), d.join("..data")))
	for name := range files {
		if _, err := os.Lstat(d.join(name)); err != nil {
			check(d.t, os.Symlink(filepath.Join("..data", name), d.join(name)))
		}
	}
	if old != "" {
		check(d.t, os.RemoveAll(d.join(old)))
	}
}

func TestConfigMapVolumeIsFollowedAndSeenOnce(t *testing.T) {
	d := &dir{t: t, path: t.TempDir()}
	atomicWrite(d, "1", map[string]string{"a.yaml": route("a", 1), "b.yaml": route("b", 1)})
	d = open(t, d.path)
	d.expect("+httproutes/default/a", "+httproutes/default/b")
	for i := range 3 {
		atomicWrite(d, string(rune('2'+i)), map[string]string{"a.yaml": route("a", 2+i), "b.yaml": route("b", 1)})
		if got := weight(t, d.expect("+httproutes/default/a").Applied[0]); got != int64(2+i) {
			t.Fatalf("weight %d", got)
		}
	}
	d.quiet()
	if problems := d.reader.Problems(); len(problems) != 0 {
		t.Errorf("problems %+v", problems)
	}
}

func TestLinkToAFileElsewhereIsFollowed(t *testing.T) {
	elsewhere := &dir{t: t, path: t.TempDir()}
	elsewhere.write("real.txt", route("a", 1))
	d := open(t, t.TempDir())
	check(t, os.Symlink(elsewhere.join("real.txt"), d.join("a.yaml")))
	d.expect("+httproutes/default/a")
	elsewhere.write("real.txt", route("a", 2))
	d.expect("+httproutes/default/a")
	elsewhere.write("new", route("a", 3))
	check(t, os.Rename(elsewhere.join("new"), elsewhere.join("real.txt")))
	d.expect("+httproutes/default/a")
	check(t, os.Remove(elsewhere.join("real.txt")))
	d.expect("-httproutes/default/a")
	elsewhere.write("real.txt", route("a", 4))
	d.expect("+httproutes/default/a")
}

func TestRootThatIsALinkCanBeSwapped(t *testing.T) {
	work := &dir{t: t, path: t.TempDir()}
	work.write("v1/a.yaml", route("a", 1))
	work.write("v1/b.yaml", route("b", 1))
	work.write("v2/a.yaml", route("a", 2))
	check(t, os.Symlink("v1", work.join("current")))
	d := open(t, work.join("current"))
	d.expect("+httproutes/default/a", "+httproutes/default/b")
	check(t, os.Symlink("v2", work.join("next")))
	check(t, os.Rename(work.join("next"), work.join("current")))
	d.expect("+httproutes/default/a")
	d.expect("-httproutes/default/b")
	work.write("v2/a.yaml", route("a", 3))
	d.expect("+httproutes/default/a")
}

func TestLinkedDirectoryIsReadOnce(t *testing.T) {
	d := &dir{t: t, path: t.TempDir()}
	d.write("apps/a.yaml", route("a", 1))
	check(t, os.Symlink("apps", d.join("zz-again")))
	check(t, os.Symlink("..", d.join("apps/loop")))
	d = open(t, d.path)
	d.expect("+httproutes/default/a")
	if problems := d.reader.Problems(); len(problems) != 0 {
		t.Errorf("problems %+v", problems)
	}
}

func TestMissingRootIsNotAnEmptyOne(t *testing.T) {
	work := &dir{t: t, path: t.TempDir()}
	work.write("root/a.yaml", route("a", 1))
	d := open(t, work.join("root"))
	d.expect("+httproutes/default/a")
	check(t, os.RemoveAll(d.path))
	d.expect("!.")
	d.quiet()
	d.write("b.yaml", route("b", 1))
	d.expect("+httproutes/default/b")
	d.expect("-httproutes/default/a")
}

func TestUnreadableDirectoryKeepsItsObjects(t *testing.T) {
	d := open(t, t.TempDir())
	d.write("sub/a.yaml", route("a", 1))
	d.write("b.yaml", route("b", 1))
	d.expect("+httproutes/default/a", "+httproutes/default/b")
	check(t, os.Rename(d.join("sub"), d.join(".away")))
	check(t, os.Symlink("sub", d.join("sub"))) // a link to itself cannot be read even by root
	check(t, os.Remove(d.join("b.yaml")))
	d.expect("!sub/a.yaml")
	d.expect("-httproutes/default/b")
	d.quiet()
	check(t, os.Remove(d.join("sub")))
	check(t, os.Rename(d.join(".away"), d.join("sub")))
	d.write("sub/a.yaml", route("a", 2))
	d.expect("+httproutes/default/a")
	if problems := d.reader.Problems(); len(problems) != 0 {
		t.Errorf("problems %+v", problems)
	}
}
