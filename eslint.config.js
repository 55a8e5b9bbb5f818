const tseslint = require('typescript-eslint');

/** Folder rules of docs/ARCHITECTURE.md: who may import whom, and libraries by their index.ts only. */
const internals = {
  group: ['@zonewise/*/*', '**/libs/*/src/*'],
  message: 'Import a library by its name (@zonewise/...), never its internal files.',
};
const pure = {
  group: ['@nestjs/*', 'typeorm', 'express', 'node:fs', 'fs', 'node:http', 'node:child_process'],
  message: 'Libraries are pure: no Nest, no database, no I/O.',
};
const forbid = (...groups) => ({
  'no-restricted-imports': ['error', { patterns: [internals, ...groups] }],
});
const apps = {
  group: ['**/apps/**', '**/migrations/**'],
  message: 'Libraries do not import apps.',
};
const only = (names) => ({
  group: ['@zonewise/*', ...names.map((name) => `!@zonewise/${name}`)],
  message: `This folder may import only: ${names.join(', ') || 'no other library'}.`,
});

module.exports = tseslint.config(
  { ignores: ['dist/**', 'out/**', 'node_modules/**', 'coverage/**'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: __dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      eqeqeq: ['error', 'always'],
      'no-console': 'error',
    },
  },
  { files: ['libs/simulator/src/**/*.ts'], rules: forbid(apps, pure, only([])) },
  { files: ['libs/advisor/src/**/*.ts'], rules: forbid(apps, pure, only(['simulator'])) },
  { files: ['libs/libvirt-xml/src/**/*.ts'], rules: forbid(apps, pure, only(['simulator'])) },
  { files: ['libs/host-facts/src/**/*.ts'], rules: forbid(apps, pure, only(['simulator'])) },
  { files: ['libs/placement/src/**/*.ts'], rules: forbid(apps, pure, only(['simulator'])) },
  {
    files: ['libs/plan/src/**/*.ts'],
    rules: forbid(
      apps,
      pure,
      only(['simulator', 'advisor', 'placement', 'libvirt-xml', 'host-facts']),
    ),
  },
  { files: ['libs/replay-threads/src/**/*.ts'], rules: forbid(apps, pure, only(['plan'])) },
  {
    files: ['apps/cli/src/**/*.ts'],
    rules: {
      ...forbid({
        group: ['@nestjs/*', '**/apps/api/**'],
        message: 'The CLI starts without Nest.',
      }),
      'no-console': 'off',
    },
  },
  { files: ['apps/api/src/**/*.ts', 'migrations/**/*.ts'], rules: forbid() },
  {
    files: ['**/*.spec.ts', 'test/**/*.ts', 'libs/*/test/**/*.ts'],
    rules: {
      'no-console': 'off',
      'no-restricted-imports': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
