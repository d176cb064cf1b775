/**
 * Input for `iptables-restore` as kube-proxy writes it in iptables mode: chains and rules of so many services with one
 * endpoint each, in nat, filter and mangle. A service is four rules; 1,250 of them make 5,000.
 */
export function kubeProxyRules(services: number, family: 4 | 6 = 4): string {
  const ids = Array.from({ length: services }, (_, at) => at)
  const hash = (at: number): string => at.toString(36).toUpperCase().padStart(16, '0')
  const address = (net4: string, net6: string, at: number): string =>
    family === 4 ? `${net4}.${(at >> 8) & 255}.${at & 255}` : `${net6}::${(at + 1).toString(16)}`
  const clusterIp = (at: number): string => `${address('10.96', 'fd00:10:96', at)}/${family === 4 ? 32 : 128}`
  const podIp = (at: number): string => address('10.244', 'fd00:10:244', at)
  const endpoint = (at: number): string => (family === 4 ? `${podIp(at)}:8080` : `[${podIp(at)}]:8080`)
  return [
    '*nat',
    ...['KUBE-SERVICES', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ', 'KUBE-PROXY-CANARY'].map(
      (chain) => `:${chain} - [0:0]`,
    ),
    ...ids.flatMap((at) => [`:KUBE-SVC-${hash(at)} - [0:0]`, `:KUBE-SEP-${hash(at)} - [0:0]`]),
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    ...ids.flatMap((at) => [
      `-A KUBE-SERVICES -d ${clusterIp(at)} -p tcp -m comment --comment "ns-${at % 50}/service-${at}:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-${hash(at)}`,
      `-A KUBE-SVC-${hash(at)} -m comment --comment "ns-${at % 50}/service-${at}:http -> ${endpoint(at)}" -j KUBE-SEP-${hash(at)}`,
      `-A KUBE-SEP-${hash(at)} -s ${podIp(at)}/${family === 4 ? 32 : 128} -m comment --comment "ns-${at % 50}/service-${at}:http" -j KUBE-MARK-MASQ`,
      `-A KUBE-SEP-${hash(at)} -p tcp -m comment --comment "ns-${at % 50}/service-${at}:http" -m tcp -j DNAT --to-destination ${endpoint(at)}`,
    ]),
    'COMMIT',
    '*mangle',
    ':KUBE-PROXY-CANARY - [0:0]',
    ':KUBE-KUBELET-CANARY - [0:0]',
    ':KUBE-IPTABLES-HINT - [0:0]',
    'COMMIT',
    '*filter',
    ':KUBE-FORWARD - [0:0]',
    ':KUBE-FIREWALL - [0:0]',
    '-A INPUT -j KUBE-FIREWALL',
    '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    '-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT',
    'COMMIT',
    '',
  ].join('\n')
}
