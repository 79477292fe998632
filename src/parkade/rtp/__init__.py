"""RTP, RTCP, DTMF, G.711 and SDP as arithmetic and text: no sockets, no clock."""
