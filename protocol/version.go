package protocol

// Version is a version of the protocol. The zero Version is none.
type Version int

// The versions.
const (
	V1 Version = 1
	V2 Version = 2
)

// The WebSocket subprotocols. A connection without one speaks version 1.
const (
	SubprotocolV1 = "socksync.v1"
	SubprotocolV2 = "socksync.v2"
)

// Subprotocols returns the subprotocols, best first.
func Subprotocols() []string { return []string{SubprotocolV2, SubprotocolV1} }

// VersionOf returns the version that a connection speaks, by the subprotocol that was agreed on; "" for none.
func VersionOf(subprotocol string) Version {
	if subprotocol == SubprotocolV2 {
		return V2
	}
	return V1
}
