// Judges a log's files with Go's own checksum database client: sumdb/note and sumdb/tlog.
//
//	main DIRECTORY VKEY
//
// See ../mod.rs for the directory. Prints "accepted: …" or "refused: …"; a refusal exits with 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight  = 8
	tileWidth   = 1 << tileHeight
	proofHeader = "c2sp.org/tlog-proof@v1\n"
)

// files reads tiles from a directory. Go names the tile height in the path, C2SP does not.
type files struct {
	directory string
	read      int
}

func (f *files) Height() int { return tileHeight }

func (f *files) SaveTiles([]tlog.Tile, [][]byte) {}

func (f *files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var contents [][]byte
	for _, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
		content, err := os.ReadFile(filepath.Join(f.directory, path))
		if err != nil {
			return nil, err
		}
		contents = append(contents, content)
	}
	f.read += len(tiles)
	return contents, nil
}

type judge struct {
	directory string
	verifier  note.Verifier
	tree      tlog.Tree
	hashes    tlog.HashReader
	leaves    []tlog.Hash
}

func main() {
	what, err := run(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted:", what)
}

func run(directory, vkey string) (string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", err
	}
	j := &judge{directory: directory, verifier: verifier}
	content, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return "", err
	}
	if j.tree, err = j.openCheckpoint(content); err != nil {
		return "", err
	}
	tiles := &files{directory: directory}
	j.hashes = tlog.TileHashReader(j.tree, tiles)
	if err := j.readLeaves(); err != nil {
		return "", err
	}
	leafTiles := tiles.read
	if err := j.rebuild(); err != nil {
		return "", err
	}
	proofs, err := j.each("proofs/*.tlog-proof", j.checkProof)
	if err != nil {
		return "", err
	}
	consistency := 0
	history, err := j.each("history/*", func(path string) error {
		shown, err := j.checkHistory(path)
		consistency += shown
		return err
	})
	return fmt.Sprintf("size %d, %d tiles, %d proofs, %d older checkpoints, %d consistency proofs",
		j.tree.N, leafTiles, proofs, history, consistency), err
}

func (j *judge) each(pattern string, check func(path string) error) (int, error) {
	paths, err := filepath.Glob(filepath.Join(j.directory, pattern))
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		if err := check(path); err != nil {
			return 0, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return len(paths), nil
}

// openCheckpoint verifies the note and reads its three lines. tlog.ParseTree knows one origin only, that of the
// Go checksum database, so its first line stands in for ours.
func (j *judge) openCheckpoint(content []byte) (tlog.Tree, error) {
	opened, err := note.Open(content, note.VerifierList(j.verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	rest := strings.TrimPrefix(opened.Text, j.verifier.Name()+"\n")
	if rest == opened.Text {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is of another log")
	}
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

// readLeaves reads all leaves through the client, which checks tiles against the root.
func (j *judge) readLeaves() error {
	var indexes []int64
	for n := int64(0); n < j.tree.N; n++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, n))
	}
	var err error
	j.leaves, err = j.hashes.ReadHashes(indexes)
	return err
}

// rebuild computes the whole tree from the entries and compares root and leaves. The client alone is not enough:
// releases of x/mod up to 0.7 at least leave as many tiles of a call unchecked as the root has spare subtrees
// (tileHashReader.ReadHashes compares tiles with their parents from len(stx) on, past those that shared a tile).
func (j *judge) rebuild() error {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	for first := int64(0); first < j.tree.N; first += tileWidth {
		tile := tlog.Tile{H: tileHeight, L: 0, N: first / tileWidth, W: tileWidth}
		if first+tileWidth > j.tree.N {
			tile.W = int(j.tree.N - first)
		}
		entries, err := j.readBundle(tile)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			n := first + int64(i)
			if tlog.RecordHash(entry) != j.leaves[n] {
				return fmt.Errorf("entry %d differs from its leaf", n)
			}
			added, err := tlog.StoredHashes(n, entry, reader)
			if err != nil {
				return err
			}
			stored = append(stored, added...)
		}
	}
	root, err := tlog.TreeHash(j.tree.N, reader)
	if err == nil && root != j.tree.Hash {
		err = fmt.Errorf("the entries have another root")
	}
	return err
}

// readBundle reads the entries behind a tile of leaves.
func (j *judge) readBundle(tile tlog.Tile) ([][]byte, error) {
	path := "tile/entries/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/0/", tileHeight))
	bundle, err := os.ReadFile(filepath.Join(j.directory, path))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(entries) < tile.W {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return nil, fmt.Errorf("%s ends within entry %d", path, len(entries))
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	if len(bundle) != 0 {
		return nil, fmt.Errorf("%s has bytes after its last entry", path)
	}
	return entries, nil
}

func (j *judge) checkProof(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	body := strings.TrimPrefix(string(content), proofHeader)
	split := strings.Index(body, "\n\n")
	if body == string(content) || split < 0 {
		return fmt.Errorf("not a proof file")
	}
	tree, err := j.openCheckpoint([]byte(body[split+2:]))
	if err != nil {
		return err
	}
	lines := strings.Split(body[:split], "\n")
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil || index < 0 || index >= j.tree.N {
		return fmt.Errorf("the log has no entry %s", lines[0])
	}
	proof, err := parseHashes(lines[1:])
	if err != nil {
		return err
	}
	own, err := tlog.ProveRecord(tree.N, index, j.hashes)
	if err != nil {
		return err
	}
	if tree.N == j.tree.N && fmt.Sprint(own) != fmt.Sprint(proof) {
		return fmt.Errorf("the proof differs from the one in the tiles")
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, j.leaves[index])
}

func (j *judge) checkHistory(path string) (int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	old, err := j.openCheckpoint(content)
	if err != nil {
		return 0, err
	}
	if strconv.FormatInt(old.N, 10) != filepath.Base(path) {
		return 0, fmt.Errorf("this is a checkpoint of another size")
	}
	if old.N > j.tree.N {
		return 0, fmt.Errorf("truncated: %d entries were signed before, %d are left", old.N, j.tree.N)
	}
	own, err := tlog.ProveTree(j.tree.N, old.N, j.hashes)
	if err != nil {
		return 0, err
	}
	if err := tlog.CheckTree(own, j.tree.N, j.tree.Hash, old.N, old.Hash); err != nil {
		return 0, fmt.Errorf("forked: %w", err)
	}
	shown, err := os.ReadFile(filepath.Join(j.directory, "consistency", filepath.Base(path)))
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	proof, err := parseHashes(strings.Fields(string(shown)))
	if err != nil {
		return 0, err
	}
	return 1, tlog.CheckTree(proof, j.tree.N, j.tree.Hash, old.N, old.Hash)
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		content, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(content) != tlog.HashSize {
			return nil, fmt.Errorf("%q is not a hash", line)
		}
		var hash tlog.Hash
		copy(hash[:], content)
		hashes = append(hashes, hash)
	}
	return hashes, nil
}
