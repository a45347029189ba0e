// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestObjects verifies that a recording is found once, even if the bucket contains several objects of the recording.
// The order of the objects has no effect.
func TestObjects(t *testing.T) {
	const id, other = "20260102t030405-abc", "20260102t030405-abcd"
	for name, test := range map[string]struct {
		names []string
		want  map[string]fileInfo
	}{
		"none": {nil, nil},
		"pieces": {
			[]string{id + "/000001", id + "/000002"},
			map[string]fileInfo{id: {bytes: 20, lastPiece: 2, found: 2}},
		},
		"whole": {[]string{id + ".cast"}, map[string]fileInfo{id: {bytes: 10, isWhole: true}}},
		"both": {
			[]string{id + ".cast", id + "/000001", id + "/000002"},
			map[string]fileInfo{id: {bytes: 10, lastPiece: 2, found: 2, isWhole: true}},
		},
		"both, the other way round": {
			[]string{id + "/000002", id + "/000001", id + ".cast"},
			map[string]fileInfo{id: {bytes: 10, lastPiece: 2, found: 2, isWhole: true}},
		},
		"a gap": {
			[]string{id + "/000001", id + "/000003"},
			map[string]fileInfo{id: {bytes: 20, lastPiece: 3, found: 2}},
		},
		"no first": {[]string{id + "/000002"}, map[string]fileInfo{id: {bytes: 10, lastPiece: 2, found: 1}}},
		"two files": {
			[]string{id + ".cast", other + "/000001"},
			map[string]fileInfo{id: {bytes: 10, isWhole: true}, other: {bytes: 10, lastPiece: 1, found: 1}},
		},
		"two files, mixed": {
			[]string{id + "/000001", other + "/000001", id + ".cast", other + "/000002"},
			map[string]fileInfo{
				id: {bytes: 10, lastPiece: 1, found: 1, isWhole: true}, other: {bytes: 20, lastPiece: 2, found: 2},
			},
		},
		"other names": {[]string{
			"x.cast", id, id + "/1", id + "/0000001", id + "/000000", id + "/x.cast", "../" + id + ".cast",
			"probe-x.part",
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, all, now := &bucket{prefix: "a/"}, []fileInfo{}, time.Now()
			for _, n := range test.names {
				if f, ok := b.infoOf(&minio.ObjectInfo{Key: b.prefix + n, Size: 10, LastModified: now}); ok {
					all = append(all, f)
				}
			}
			slices.SortStableFunc(all, func(a, b fileInfo) int { return strings.Compare(a.id, b.id) })
			all = merged(all)
			if len(all) != len(test.want) {
				t.Errorf("there are %d files", len(all))
			}
			for _, f := range all {
				want := test.want[f.id]
				if want.id, want.modified = f.id, now; f != want {
					t.Errorf("%+v instead of %+v", f, want)
				}
				if damaged := name == "a gap" || name == "no first"; f.isDamaged() != damaged {
					t.Errorf("%s is damaged: %t", f.id, !damaged)
				}
			}
		})
	}
}

func TestPieces(t *testing.T) {
	pieces, failure := []string{"one ", "", "two"}, errors.New("no")
	open := 0
	reader := func(last int) *piecesReader {
		return &piecesReader{next: 1, last: last, open: func(number int) (io.ReadCloser, error) {
			if number > len(pieces) {
				return nil, failure
			}
			open++
			return closing{strings.NewReader(pieces[number-1]), func() { open-- }}, nil
		}}
	}
	if text, err := io.ReadAll(reader(len(pieces))); err != nil || string(text) != "one two" || open != 0 {
		t.Errorf("%q, %d open (%v)", text, open, err)
	}
	if text, err := io.ReadAll(reader(len(pieces) + 1)); !errors.Is(err, failure) {
		t.Errorf("%q (%v)", text, err)
	}
	r := reader(1)
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil || open != 0 {
		t.Errorf("%d are open (%v)", open, err)
	}
}

type closing struct {
	io.Reader

	closed func()
}

func (c closing) Close() error {
	c.closed()
	return nil
}

// TestCredentials verifies that the files with the credentials of an S3 bucket are read again after one minute. A
// missing or empty secret key is an error.
func TestCredentials(t *testing.T) {
	now := time.Now()
	files := &credentialFiles{dir: t.TempDir(), now: func() time.Time { return now }}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(files.dir, name), []byte(text), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	write(accessKeyFile, "id\n")
	if _, err := files.Retrieve(); err == nil {
		t.Error("there is no secret")
	}
	write(secretKeyFile, " \n")
	if _, err := files.Retrieve(); err == nil {
		t.Error("the secret is empty")
	}
	write(secretKeyFile, "secret\n")
	if got, err := files.Retrieve(); err != nil || got.AccessKeyID != "id" || got.SecretAccessKey != "secret" ||
		got.SessionToken != "" || files.IsExpired() {
		t.Errorf("%+v (%v)", got, err)
	}
	write(sessionTokenFile, "token")
	if now = now.Add(rereadCredentials + 1); !files.IsExpired() {
		t.Error("the files are not read again")
	}
	if got, err := files.Retrieve(); err != nil || got.SessionToken != "token" {
		t.Errorf("%+v (%v)", got, err)
	}
}
