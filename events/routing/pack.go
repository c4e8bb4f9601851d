package routing

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// window is how far back compression looks, in bytes: most of its memory.
const window = 1 << 20

// packer takes what is written as it is, and compresses it once it is large.
type packer struct {
	out        bytes.Buffer
	compressor *zstd.Encoder
}

func (p *packer) Write(data []byte) (int, error) {
	if p.compressor != nil {
		return p.compressor.Write(data)
	}
	if p.out.Len()+len(data) <= compressAbove {
		return p.out.Write(data)
	}
	plain := bytes.Clone(p.out.Bytes())
	p.out.Reset()
	err := p.begin()
	if err == nil {
		_, err = p.compressor.Write(plain)
	}
	if err != nil {
		return 0, err
	}
	return p.compressor.Write(data)
}

// begin compresses from here on.
func (p *packer) begin() (err error) {
	p.compressor, err = zstd.NewWriter(&p.out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	return err
}

// pack compresses data, however small it is.
func (p *packer) pack(data []byte) ([]byte, error) {
	err := p.begin()
	if err == nil {
		_, err = p.compressor.Write(data)
	}
	if err != nil {
		return nil, err
	}
	data, _, err = p.finish()
	return data, err
}

// finish returns what came of it.
func (p *packer) finish() (data []byte, encoding string, err error) {
	if p.compressor == nil {
		return p.out.Bytes(), "", nil
	}
	if err := p.compressor.Close(); err != nil {
		return nil, "", err
	}
	return p.out.Bytes(), "zstd", nil
}

// unpack reads what a packer made; done ends the use of it.
func unpack(data []byte, encoding string) (in io.Reader, done func(), err error) {
	in = bytes.NewReader(data)
	switch encoding {
	case "":
		return in, func() {}, nil
	case "zstd":
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	default:
		return nil, nil, fmt.Errorf("%w: content encoding %q", ErrFormat, encoding)
	}
}
