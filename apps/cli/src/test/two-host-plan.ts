/** The plan that tests of the gate begin with. */

const HOST = `texts:
      version: 6.1.0
      numactlHardware: |
        available: 2 nodes (0-1)
        node 0 cpus: 0 1
        node 0 size: 512 MB
        node 0 free: 480 MB
        node 1 cpus: 2 3
        node 1 size: 512 MB
        node 1 free: 480 MB
        node distances:
        node   0   1
          0:  10  21
          1:  21  10`;

/** Two hosts; the first gets \`count\` guests that are bound to its node 0. */
export function plan(count: number, rest = ''): string {
  return `hosts:
  - name: kvm1
    ${HOST}
  - name: kvm2
    ${HOST}
flavours:
  bound: {memoryMib: 200, numatune: {mode: strict, nodeset: "0"}}
guests:
  - {name: a, flavour: bound, count: ${count}}
  - {name: b, flavour: bound}
assignments:
  kvm1: [a]
  kvm2: [b]
${rest}`;
}
