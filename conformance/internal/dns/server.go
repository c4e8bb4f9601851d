package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/endpoints"
)

const (
	// ttl is how many seconds an answer may be kept.
	ttl = 1
	// maxDatagram is what every client takes by UDP; it asks again by TCP for more.
	maxDatagram = 512
	// tcpIdle is how long a connection may be silent.
	tcpIdle = 10 * time.Second
)

// Server answers by UDP and TCP.
type Server struct {
	directory directory
	packets   *net.UDPConn
	streams   *net.TCPListener
}

// New listens at an address. What it reads is kept up to date by the caller.
func New(at netip.AddrPort, services corelisters.ServiceLister, index *endpoints.Index) (*Server, error) {
	server := &Server{directory: directory{services: services, endpoints: index.Of}}
	var err error
	if server.packets, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err != nil {
		return nil, fmt.Errorf("DNS server: %w", err)
	}
	if server.streams, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)); err != nil {
		return nil, errors.Join(fmt.Errorf("DNS server: %w", err), server.packets.Close())
	}
	return server, nil
}

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.packets.Close()
		s.streams.Close()
	})
	defer stop()
	var running sync.WaitGroup
	running.Go(s.servePackets)
	running.Go(func() { s.serveStreams(ctx, &running) })
	running.Wait()
	return nil
}

func (s *Server) servePackets() {
	buffer := make([]byte, maxDatagram)
	for {
		n, client, err := s.packets.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // told of an answer that did not arrive
		}
		if reply, err := s.respond(buffer[:n], maxDatagram); err == nil {
			_, _ = s.packets.WriteToUDPAddrPort(reply, client) // the client asks again
		}
	}
}

func (s *Server) serveStreams(ctx context.Context, running *sync.WaitGroup) {
	for {
		connection, err := s.streams.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		running.Go(func() {
			defer connection.Close()
			stop := context.AfterFunc(ctx, func() { connection.Close() })
			defer stop()
			for s.serveStream(connection) == nil {
			}
		})
	}
}

// serveStream answers one question: messages are preceded by their length.
func (s *Server) serveStream(connection net.Conn) error {
	if err := connection.SetDeadline(time.Now().Add(tcpIdle)); err != nil {
		return err
	}
	var length [2]byte
	if _, err := io.ReadFull(connection, length[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(connection, question); err != nil {
		return err
	}
	reply, err := s.respond(question, 1<<16-1)
	if err != nil {
		return err
	}
	_, err = connection.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

// respond returns the reply to a message, or an error where it is no question.
func (s *Server) respond(message []byte, limit int) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil {
		return nil, err
	}
	if header.Response {
		return nil, errors.New("this is no question")
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	found := s.directory.lookUp(question.Name.String())
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true,
			RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{question},
		Answers:   records(question, found),
	}
	if !found.exists {
		reply.RCode = dnsmessage.RCodeNameError
	}
	packed, err := reply.Pack()
	if err != nil || len(packed) <= limit {
		return packed, err
	}
	reply.Truncated, reply.Answers = true, nil
	return reply.Pack()
}

// records are those of the answer that were asked for.
func records(question dnsmessage.Question, found answer) []dnsmessage.Resource {
	header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: ttl}
	var result []dnsmessage.Resource
	add := func(body dnsmessage.ResourceBody) {
		result = append(result, dnsmessage.Resource{Header: header, Body: body})
	}
	if found.alias != "" {
		if name, err := dnsmessage.NewName(found.alias); err == nil {
			add(&dnsmessage.CNAMEResource{CNAME: name})
		}
		return result
	}
	switch question.Type {
	case dnsmessage.TypeA:
		for _, address := range found.addresses {
			if address.Is4() {
				add(&dnsmessage.AResource{A: address.As4()})
			}
		}
	case dnsmessage.TypeSRV:
		for _, service := range found.services {
			if name, err := dnsmessage.NewName(service.host); err == nil {
				add(&dnsmessage.SRVResource{Priority: 0, Weight: 100, Port: service.port, Target: name})
			}
		}
	}
	return result
}
