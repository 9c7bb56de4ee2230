// Calls the greeter by code that connect-go generates: over every protocol, both versions of HTTP and both codecs, in
// every shape. Prints what it does not expect, and in the end how much was as expected.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	greetv1 "example.invalid/antiphon/clients/gen/greet/v1"
	"example.invalid/antiphon/clients/gen/greet/v1/greetv1connect"
)

const token = "let-me-in"

var checks, failures int

// same compares what came with what was to come.
func same(what string, got, want any) {
	checks++
	if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want); g != w {
		failures++
		fmt.Printf("%s:\n  got  %q\n  want %q\n", what, g, w)
	}
}

// fine is for errors that are not to come.
func fine(what string, err error) { same(what, err, nil) }

// verbs remembers the method of the request sent last.
type verbs struct {
	next http.RoundTripper
	last string
}

func (v *verbs) RoundTrip(request *http.Request) (*http.Response, error) {
	v.last = request.Method
	return v.next.RoundTrip(request)
}

// over gives a client of one version of HTTP alone, without TLS.
func over(http2 bool) (*http.Client, *verbs) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	v := &verbs{next: &http.Transport{Protocols: protocols}}
	return &http.Client{Transport: v}, v
}

// way is one client and how it is called in reports.
type way struct {
	name   string
	http2  bool
	client greetv1connect.GreetServiceClient
}

func request(names ...string) []*greetv1.GreetRequest {
	var requests []*greetv1.GreetRequest
	for _, name := range names {
		requests = append(requests, &greetv1.GreetRequest{Name: name})
	}
	return requests
}

// headers sets those of a call: the token, unless it is to be refused, and a language.
func headers(header http.Header, withToken bool, language string) {
	if withToken {
		header.Set("Acme-Token", token)
	}
	if language != "" {
		header.Set("Accept-Language", language)
	}
}

// told is what a call came back with.
type told struct {
	version   string
	greetings []string
	err       error
}

func (w way) once(ctx context.Context, withToken bool, language string) told {
	req := connect.NewRequest(request("Ann")[0])
	headers(req.Header(), withToken, language)
	res, err := w.client.GreetOnce(ctx, req)
	if err != nil {
		return told{err: err}
	}
	return told{version: res.Header().Get("Greet-Version"), greetings: []string{res.Msg.GetGreeting()}}
}

func (w way) greet(ctx context.Context, withToken bool, language string) told {
	stream := w.client.Greet(ctx)
	headers(stream.RequestHeader(), withToken, language)
	for _, req := range request("Ann", "Bob") {
		if stream.Send(req) != nil {
			break // CloseAndReceive tells why
		}
	}
	res, err := stream.CloseAndReceive()
	if err != nil {
		return told{err: err}
	}
	return told{version: res.Header().Get("Greet-Version"), greetings: []string{res.Msg.GetGreeting()}}
}

func (w way) more(ctx context.Context, withToken bool, language string) told {
	req := connect.NewRequest(request("Ann")[0])
	headers(req.Header(), withToken, language)
	stream, err := w.client.GreetMore(ctx, req)
	if err != nil {
		return told{err: err}
	}
	defer stream.Close()
	var t told
	for stream.Receive() {
		t.greetings = append(t.greetings, stream.Msg().GetGreeting())
	}
	t.version, t.err = stream.ResponseHeader().Get("Greet-Version"), stream.Err()
	return t
}

func (w way) each(ctx context.Context, withToken bool, language string) told {
	stream := w.client.GreetEach(ctx)
	defer stream.CloseResponse()
	headers(stream.RequestHeader(), withToken, language)
	for _, req := range request("Ann", "Bob") {
		if stream.Send(req) != nil {
			break // Receive tells why
		}
	}
	var t told
	if t.err = stream.CloseRequest(); t.err != nil {
		return t
	}
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return told{err: err}
		}
		t.greetings = append(t.greetings, res.GetGreeting())
	}
	t.version = stream.ResponseHeader().Get("Greet-Version")
	return t
}

// shapes are all that a service can have.
func (w way) shapes() []struct {
	name string
	call func(context.Context, bool, string) told
	want []string
} {
	return []struct {
		name string
		call func(context.Context, bool, string) told
		want []string
	}{
		{"unary", w.once, []string{"HELLO, Ann!"}},
		{"client stream", w.greet, []string{"HELLO, Ann!\nHELLO, Bob!\n"}},
		{"server stream", w.more, []string{"HELLO, Ann!", "Nice to see you, Ann!", "Take care, Ann!"}},
		{"bidi", w.each, []string{"HELLO, Ann!", "HELLO, Bob!"}},
	}
}

// check calls in every shape, with a token, in another language, and without a token.
func (w way) check(ctx context.Context) {
	for _, shape := range w.shapes() {
		if shape.name == "bidi" && !w.http2 {
			continue // connect-go does not take turns over HTTP/1.1
		}
		what := w.name + ", " + shape.name
		for language, hello := range map[string]string{"": "Hello", "fr": "Bonjour"} {
			t := shape.call(ctx, true, language)
			fine(what, t.err)
			same(what+": Greet-Version", t.version, "v1")
			want := strings.ReplaceAll(strings.Join(shape.want, "|"), "HELLO", hello)
			same(what, strings.Join(t.greetings, "|"), want)
		}
		refused := shape.call(ctx, false, "").err
		same(what+" without a token", connect.CodeOf(refused), connect.CodeUnauthenticated)
		var status *connect.Error
		if errors.As(refused, &status) {
			same(what+" without a token", status.Message(), "send a valid Acme-Token")
		}
	}
}

// converse speaks and listens in turns, which takes HTTP/2, and then runs into a deadline.
func (w way) converse(ctx context.Context) {
	what := w.name + ", in turns"
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	stream := w.client.GreetEach(ctx)
	defer stream.CloseResponse()
	headers(stream.RequestHeader(), true, "")
	for _, req := range request("Ann", "Bob", "Cleo") {
		fine(what, stream.Send(req))
		res, err := stream.Receive()
		fine(what, err)
		same(what, res.GetGreeting(), "Hello, "+req.GetName()+"!")
	}
	_, err := stream.Receive()
	same(what+", past the deadline", connect.CodeOf(err), connect.CodeDeadlineExceeded)
}

func main() {
	url, ctx := os.Args[1], context.Background()
	protocols := []struct {
		name    string
		options []connect.ClientOption
	}{
		{"Connect", nil},
		{"gRPC", []connect.ClientOption{connect.WithGRPC()}},
		{"gRPC-Web", []connect.ClientOption{connect.WithGRPCWeb()}},
	}
	codecs := map[string][]connect.ClientOption{"proto": nil, "json": {connect.WithProtoJSON()}}
	for _, http2 := range []bool{false, true} {
		version := map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[http2]
		for _, protocol := range protocols {
			if protocol.name == "gRPC" && !http2 {
				continue // needs trailers
			}
			for codec, options := range codecs {
				httpClient, _ := over(http2)
				options = append(options, protocol.options...)
				w := way{
					name:   strings.Join([]string{protocol.name, version, codec}, ", "),
					http2:  http2,
					client: greetv1connect.NewGreetServiceClient(httpClient, url, options...),
				}
				w.check(ctx)
				if http2 {
					w.converse(ctx)
				}
			}
		}
		httpClient, sent := over(http2)
		w := way{name: "GET, " + version, client: greetv1connect.NewGreetServiceClient(httpClient, url, connect.WithHTTPGet())}
		t := w.once(ctx, true, "fr")
		fine(w.name, t.err)
		same(w.name, strings.Join(t.greetings, "|"), "Bonjour, Ann!")
		same(w.name, sent.last, http.MethodGet)
	}
	fmt.Printf("%d checks, %d failed\n", checks, failures)
	if failures > 0 {
		os.Exit(1)
	}
}
