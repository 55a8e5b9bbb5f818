import { slabShape } from './slab';

/** As /proc/slabinfo showed them on machines with 1, 2 and 4 CPUs: bytes of an object, objects and pages of a slab. */
const RECORDED: [cache: string, bytes: number, one: string, two: string, four: string][] = [
  ['radix_tree_node', 584, '14/2', '14/2', '28/4'],
  ['inode_cache', 640, '12/2', '12/2', '25/4'],
  ['dentry', 192, '21/1', '21/1', '21/1'],
  ['ext4_inode_cache', 1192, '13/4', '13/4', '27/8'],
  ['buffer_head', 104, '39/1', '39/1', '39/1'],
  ['filp', 256, '16/1', '16/1', '16/1'],
  ['task_struct', 8384, '3/8', '3/8', '3/8'],
  ['mm_struct', 1152, '14/4', '14/4', '28/8'],
  ['sighand_cache', 2112, '15/8', '15/8', '15/8'],
  ['files_cache', 704, '11/2', '23/4', '23/4'],
  ['kmalloc-512', 512, '8/1', '16/2', '16/2'],
  ['kmalloc-1k', 1024, '8/2', '16/4', '16/4'],
  ['kmalloc-2k', 2048, '8/4', '16/8', '16/8'],
  ['kmalloc-4k', 4096, '8/8', '8/8', '8/8'],
  ['kmalloc-8k', 8192, '4/8', '4/8', '4/8'],
];

const shown = (bytes: number, cpus: number): string => {
  const { order, objects } = slabShape(bytes, cpus);
  return `${objects}/${2 ** order}`;
};

describe('slabs', () => {
  it.each(RECORDED)('of %s are as large as a kernel makes them', (_, bytes, one, two, four) => {
    expect([1, 2, 3, 4].map((cpus) => shown(bytes, cpus))).toEqual([one, two, two, four]);
  });

  it('of tree nodes have eight pages on a host with 64 CPUs', () => {
    // 32 objects of 584 bytes need 18,688 bytes.
    expect(shown(584, 64)).toBe('56/8');
  });
});
