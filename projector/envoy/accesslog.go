package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/projector/route"
)

// usualFields are logged where a class does not say otherwise. Of a connection that is
// forwarded those of requests are null.
func usualFields() map[string]string {
	return map[string]string{
		"start_time": "%START_TIME%", "duration": "%DURATION%", "protocol": "%PROTOCOL%",
		"method": "%REQ(:METHOD)%", "authority": "%REQ(:AUTHORITY)%", "path": "%REQ(:PATH)%",
		"user_agent": "%REQ(USER-AGENT)%", "request_id": "%REQ(X-REQUEST-ID)%",
		"response_code": "%RESPONSE_CODE%", "response_code_details": "%RESPONSE_CODE_DETAILS%", "response_flags": "%RESPONSE_FLAGS%",
		"bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%",
		"client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "server_name": "%REQUESTED_SERVER_NAME%",
		"route": "%ROUTE_NAME%", "upstream_cluster": "%UPSTREAM_CLUSTER%", "upstream_host": "%UPSTREAM_HOST%",
	}
}

// accessLogs is the log of a Gateway; none where it is switched off.
func accessLogs(g *route.Gateway) []*accesslogv3.AccessLog {
	format := &corev3.SubstitutionFormatString{}
	if g.AccessLog.Text != "" {
		format.Format = &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: g.AccessLog.Text},
		}}
	} else {
		fields := g.AccessLog.JSON
		if len(fields) == 0 {
			fields = usualFields()
		}
		object := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for name, value := range fields { //determinism: into a map
			object.Fields[name] = structpb.NewStringValue(value)
		}
		format.Format = &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: object}
	}
	log := &accesslogv3.AccessLog{Name: "envoy.access_loggers.stdout", ConfigType: &accesslogv3.AccessLog_TypedConfig{
		TypedConfig: fixed(&streamv3.StdoutAccessLog{AccessLogFormat: &streamv3.StdoutAccessLog_LogFormat{LogFormat: format}}),
	}}
	switch g.AccessLog.Sink {
	case v1alpha1.SinkNone:
		return nil
	case v1alpha1.SinkStderr:
		log.Name = "envoy.access_loggers.stderr"
		log.ConfigType = &accesslogv3.AccessLog_TypedConfig{
			TypedConfig: fixed(&streamv3.StderrAccessLog{AccessLogFormat: &streamv3.StderrAccessLog_LogFormat{LogFormat: format}}),
		}
	}
	return []*accesslogv3.AccessLog{log}
}
